"""What this distribution's commands say, in English and in Taiwan's Chinese (see `every8d.command.words`)."""

SENTENCES: dict[str, tuple[str, str]] = {
    "at": ("Time", "時間"),
    "number": ("Number", "門號"),
    "text": ("Text", "內容"),
    "seq": ("#", "序號"),
    "name": ("Name", "姓名"),
    "status_code": ("Status", "狀態碼"),
    "chunk": ("Chunk", "分批"),
    "final_at": ("Final", "完成時間"),
    "credit": ("Credit", "剩餘點數"),
    "credit_at": ("As of", "查詢於"),
    "breaker": ("Breaker", "斷路器"),
    "session": ("Session", "連線"),
    "waiting": ("Waiting (otp / normal / bulk)", "等待中（otp / normal / bulk）"),
    "paused": ("Paused", "暫停"),
    "requests": ("Requests", "發送編號"),
    "kind": ("Kind", "種類"),
    "event": ("What happened", "事件"),
    "task": ("Task", "工作"),
    "page": ("Page", "頁"),
    "size": ("Size", "大小"),
    "id": ("Id", "編號"),
    "ago": ("{age} ago", "{age} 前"),
    "migrated": ("The ledger has this version's tables.", "帳本的資料表已是此版本所需。"),
    "no_account": ("There is no account {alias}.", "沒有帳號 {alias}。"),
    "nothing": ("Nothing.", "沒有資料。"),
    "session_until": ("until {time}", "有效至 {time}"),
    "session_none": ("none", "無"),
    "session_unseen": ("Redis not reachable", "無法連線至 Redis"),
    "session_closed": ("The session of {alias} is closed.", "已關閉 {alias} 的連線。"),
    "session_not_there": ("{alias} has no session.", "{alias} 目前沒有連線。"),
    "unblocked": (
        "{alias} may log in again (the breaker was {was}).",
        "{alias} 可再次登入（斷路器原為 {was}）。",
    ),
    "unblock_advice": (
        "Correct the password first: after ten refused logins the gateway locks the account.",
        "請先更正密碼：登入失敗達十次，簡訊平台將封鎖帳號。",
    ),
    "unknown_advice": (
        "Look in the vendor's console or ask the person, then: every8d unknown resend|accept|refuse CHUNK.",
        "請先至廠商後台或向收訊人查證，再執行 every8d unknown resend|accept|refuse 編號。",
    ),
    "ask_resend": (
        "If the gateway did execute it, {messages} people get the text twice. Send chunk {chunk} again?",
        "若簡訊平台其實已執行，將有 {messages} 人重複收到簡訊。確定重送分批 {chunk}？",
    ),
    "settled_resend": (
        "Chunk {chunk}: {messages} messages wait to be sent again.",
        "分批 {chunk}：{messages} 則簡訊將重新發送。",
    ),
    "settled_accept": (
        "Chunk {chunk}: {messages} messages are sent; nothing more will be known of them.",
        "分批 {chunk}：{messages} 則簡訊視為已送出，無法再追蹤後續狀態。",
    ),
    "accepted_followed": (
        "Chunk {chunk}: {messages} messages are followed by their BatchID.",
        "分批 {chunk}：{messages} 則簡訊將以 BatchID 追蹤狀態。",
    ),
    "settled_refuse": (
        "Chunk {chunk}: {messages} messages are refused.",
        "分批 {chunk}：{messages} 則簡訊視為遭拒，不再發送。",
    ),
    "show_numbers_advice": (
        "Numbers are masked; --show-numbers shows them.",
        "門號已遮蔽；以 --show-numbers 顯示。",
    ),
}

STATES: dict[str, tuple[str, str]] = {
    "info": ("info", "訊息"),
    "warning": ("warning", "警告"),
    "alert": ("ALERT", "警示"),
    "accepted": ("accepted", "已受理"),
    "not_sent": ("not sent", "未送出"),
    "packed": ("packed", "已分批"),
}
