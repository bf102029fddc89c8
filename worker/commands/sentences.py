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
    "held": ("Held (points)", "待補點數"),
    "credit_at": ("As of", "查詢於"),
    "breaker": ("Breaker", "斷路器"),
    "session": ("Session", "連線"),
    "waiting": ("Waiting (otp / normal / bulk)", "等待中（otp / normal / bulk）"),
    "paused": ("Paused", "暫停"),
    "now_paused": ("{what} is paused: nothing of it begins to be sent.", "已暫停{what}：不再開始發送。"),
    "now_paused_but": (
        "{what} is paused: nothing more of it begins to be sent; {calls} calls were under way and end.",
        "已暫停{what}：不再開始發送；進行中的 {calls} 次呼叫會執行完畢。",
    ),
    "now_resumed": ("{what} goes on.", "已恢復{what}。"),
    "still_paused": ("But {what} is paused: {reason}", "但{what}仍暫停中：{reason}"),
    "paused_requests": ("requests: {count}", "發送：{count} 筆"),
    "due_at": ("Waits until", "等待至"),
    "requests": ("Requests", "發送編號"),
    "kind": ("Kind", "種類"),
    "event": ("What happened", "事件"),
    "task": ("Task", "工作"),
    "page": ("Page", "頁"),
    "size": ("Size", "大小"),
    "id": ("Id", "編號"),
    "ago": ("{age} ago", "{age} 前"),
    "migrated": ("The ledger has this version's tables.", "帳本的資料表已是此版本所需。"),
    "ledger_older": ("The ledger's tables are those of an older version.", "帳本的資料表屬於較舊的版本。"),
    "ledger_older_advice": (
        "Stop the workers, then run every8d migrate.",
        "請先停止 worker，再執行 every8d migrate。",
    ),
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
    "and_also": ("; ", "；"),
    "unknown_for": ("unknown for {age}", "結果未明已 {age}"),
    "credit_heard": ("credit {credit} ({age} ago)", "點數 {credit}（{age} 前查詢）"),
    "credit_before": (
        "before: {baseline} ({at}), since then {confirmed} confirmed",
        "發送前點數 {baseline}（{at}），其後已確認扣點 {confirmed}",
    ),
    "callbacks_heard": (
        "{count} callbacks say that it was sent; it is settled when they are matched",
        "已收到 {count} 則回報顯示已送出，比對後即會結案",
    ),
    "proof_proven": ("the credit has told", "點數已可證明"),
    "proof_not_exclusive": (
        "the credit proves nothing: the account is not `exclusive`",
        "點數無法證明：帳號未設定 exclusive",
    ),
    "proof_too_early": (
        "the credit is compared when the gateway has had its time and the account is quiet",
        "待簡訊平台處理時限過後、帳號無發送時，將比對點數",
    ),
    "proof_no_baseline": (
        "the credit proves nothing: none was heard at a quiet moment before the call",
        "點數無法證明：發送前未曾在無發送時查得點數",
    ),
    "proof_doubted": (
        "the credit proves nothing: points were gone that no call of ours explains",
        "點數無法證明：近日有非本系統造成的扣點",
    ),
    "proof_price": (
        "the credit proves nothing: a call's price is not certain (abroad, over 333 characters, or settled before)",
        "點數無法證明：有分批的扣點無法確定（國際門號、超過 333 字，或已由人工結案）",
    ),
    "proof_prices_differ": (
        "the credit proves nothing: confirmed costs differ from our prices",
        "點數無法證明：實際扣點與本系統計價不符",
    ),
    "proof_too_many": (
        "the credit proves nothing: more than 12 calls are unknown, and some of them were sent",
        "點數無法證明：結果未明的分批超過 12 個，且其中有已送出者",
    ),
    "proof_refunds": (
        "the credit proves nothing yet: as many points may have come back",
        "點數尚無法證明：可能已有等量點數退回",
    ),
    "proof_rose": ("the credit proves nothing: points were added", "點數無法證明：期間曾儲值或退點"),
    "proof_spent": (
        "the credit proves nothing: more is gone than these calls can have cost",
        "點數無法證明：扣點多於這些分批的費用",
    ),
    "proof_no_fit": (
        "the credit proves nothing: what is gone is no sum of these calls' prices",
        "點數無法證明：扣點與這些分批的費用不符",
    ),
    "proof_ambiguous": (
        "the credit proves nothing yet: several of the calls would explain it",
        "點數尚無法證明：有多種可能的解釋",
    ),
    "proof_short": (
        "the credit proves nothing: it may have run out during a call",
        "點數無法證明：點數可能在發送途中用罄",
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
    "web_listens": (
        "Callbacks are received at http://{address}:{port}/callbacks/every8d/SECRET",
        "簡訊平台的回報由 http://{address}:{port}/callbacks/every8d/密鑰 接收",
    ),
    "secret_missing": ("No account has a callback_secret.", "沒有帳號設定 callback_secret。"),
    "secret_form": (
        "The callback_secret of {alias} must be 16 to 256 letters, digits, hyphens and underscores.",
        "{alias} 的 callback_secret 須為 16 至 256 個英數字、連字號或底線。",
    ),
    "secret_shared": (
        "The callback_secret of {alias} is that of another account, too; each needs its own.",
        "{alias} 的 callback_secret 與其他帳號相同，各帳號須使用不同的密鑰。",
    ),
    "secret_advice": (
        "Set EVERY8D_ACCOUNTS__…__CALLBACK_SECRET, for one to 32 letters by chance, and restart.",
        "請設定 EVERY8D_ACCOUNTS__…__CALLBACK_SECRET（例如 32 個隨機字元），再重新啟動。",
    ),
    "cannot_listen": ("Cannot listen on {address}: {reason}.", "無法監聽 {address}：{reason}。"),
    "batch": ("BatchID", "批次代碼"),
    "look_again": ("Looked for again", "下次比對"),
    "callbacks_counted": (
        "{waiting} callbacks wait to be matched; {unmatched} fit no message.",
        "{waiting} 筆回報等待比對；{unmatched} 筆無法對應至簡訊。",
    ),
    "callbacks_advice": (
        "Reports of texts that others send from the same account end here. An account for each system avoids it.",
        "其他系統以同一帳號發送的回報也會列於此處；每個系統使用各自的帳號即可避免。",
    ),
    "callback_no_chunk": (
        "nothing that was sent from here has its token or BatchID",
        "本系統未發送過此代碼或批次",
    ),
    "callback_two_chunks": (
        "two chunks have its BatchID: one was given a wrong one",
        "有兩個分批使用此批次代碼，其中之一有誤",
    ),
    "callback_no_message": ("its chunk has no message to this number", "該分批沒有此門號的簡訊"),
    "callback_said_not_sent": (
        "its chunk was said not to be sent: it may go out twice",
        "該分批原判定為未送出，可能重複發送",
    ),
    "callback_failed": ("it could not be stored: see the workers' log", "無法儲存，請查看工作程序的記錄"),
    "callback_other_batch": (
        "its chunk has another BatchID: it may be out twice",
        "該分批已有其他批次代碼，可能已重複發送",
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
