"""What `every8d doctor` says: for each kind of finding a sentence, and `…_advice` for those that are not well."""

SENTENCES: dict[str, tuple[str, str]] = {
    "doctor_check": ("Check", "檢查項目"),
    "doctor_verdict": ("Verdict", "結果"),
    "doctor_finding": ("Finding, and what to do", "說明與處理方式"),
    "doctor_healthy": ("Nothing must be put right.", "沒有必須處理的項目。"),
    "doctor_ill": ("Put right what is marked, and run it again.", "請處理標示的項目，再重新檢查。"),
    # The checks.
    "doctor_eviction": ("Redis: eviction", "Redis 淘汰策略"),
    "doctor_persistence": ("Redis: persistence", "Redis 持久化"),
    "doctor_visibility": ("Visibility timeout", "可見性逾時"),
    "doctor_connections": ("Connections", "連線數"),
    "doctor_durability": ("Ledger: durability", "帳本耐久性"),
    "doctor_clocks": ("Clocks", "時鐘"),
    "doctor_migrations": ("Ledger: tables", "帳本資料表"),
    "doctor_beat": ("Beat", "Beat 排程"),
    "doctor_lanes": ("Lanes", "通道"),
    "doctor_breakers": ("Accounts", "帳號"),
    "doctor_flower": ("Flower", "Flower"),
    "doctor_callbacks": ("Callbacks", "回報接收"),
    "doctor_spool": ("Spool", "暫存回覆"),
    # What could not be looked at.
    "doctor_ledger_missing": ("not checked: there is no ledger", "無法檢查：尚無帳本"),
    "doctor_ledger_missing_advice": (
        "run every8d migrate with the settings of the workers",
        "請以 worker 的設定執行 every8d migrate",
    ),
    "doctor_ledger_away": ("not checked: the ledger cannot be reached", "無法檢查：連不上帳本"),
    "doctor_ledger_away_advice": (
        "start the database, or correct EVERY8D_DATABASE_URL; an old ledger needs every8d migrate",
        "請啟動資料庫或更正 EVERY8D_DATABASE_URL；舊版帳本請執行 every8d migrate",
    ),
    "doctor_redis_away": ("not checked: Redis cannot be reached", "無法檢查：連不上 Redis"),
    "doctor_redis_away_advice": (
        "start Redis, or correct EVERY8D_BROKER_URL and EVERY8D_REDIS_URL",
        "請啟動 Redis，或更正 EVERY8D_BROKER_URL 與 EVERY8D_REDIS_URL",
    ),
    "doctor_broker_away": ("not checked: the broker cannot be reached", "無法檢查：連不上訊息代理"),
    "doctor_broker_away_advice": (
        "start the broker, or correct EVERY8D_BROKER_URL",
        "請啟動訊息代理，或更正 EVERY8D_BROKER_URL",
    ),
    # Redis.
    "doctor_evicts_nothing": ("{store}: noeviction", "{store}：noeviction"),
    "doctor_evicts": (
        "{store}: with maxmemory-policy {policy} a full Redis deletes tasks, locks or session keys",
        "{store}：maxmemory-policy 為 {policy}，記憶體滿時會刪除工作、鎖或 SessionKey",
    ),
    "doctor_evicts_advice": (
        "set maxmemory-policy noeviction; caches belong into a Redis of their own",
        "請設定 maxmemory-policy noeviction；快取請使用另一個 Redis",
    ),
    "doctor_kept": ("{store}: append-only file", "{store}：已啟用 AOF"),
    "doctor_not_kept": (
        "{store}: there is no append-only file; what is enqueued and not in the ledger yet is lost in a crash",
        "{store}：未啟用 AOF，當機時已進佇列但尚未寫入帳本的簡訊會遺失",
    ),
    "doctor_not_kept_advice": (
        "set appendonly yes and appendfsync everysec",
        "請設定 appendonly yes 與 appendfsync everysec",
    ),
    "doctor_not_written": (
        "{store}: the append-only file cannot be written",
        "{store}：AOF 檔案無法寫入",
    ),
    "doctor_not_written_advice": (
        "look at the server's log and its disk",
        "請查看伺服器的記錄與磁碟空間",
    ),
    # Visibility timeout.
    "doctor_visibility_long_enough": (
        "{seconds} s; a task takes {needed} s at most",
        "{seconds} 秒；工作最長 {needed} 秒",
    ),
    "doctor_visibility_no_redis": ("the broker has none", "此訊息代理不適用"),
    "doctor_visibility_short": (
        "worker {worker} gives tasks to others after {seconds} s, but ours may take {needed} s: they run twice",
        "worker {worker} 於 {seconds} 秒後就把工作交給其他 worker，但本系統的工作可能需要 {needed} 秒，將重複執行",
    ),
    "doctor_visibility_short_advice": (
        "raise its visibility_timeout, or give that program a Redis database of its own",
        "請提高其 visibility_timeout，或讓該程式使用另一個 Redis 資料庫",
    ),
    "doctor_countdown_long": (
        "worker {worker} holds a task back for {seconds} s; after {shortest} s it is given to others as well",
        "worker {worker} 有工作將於 {seconds} 秒後執行，但 {shortest} 秒後就會再交給其他 worker",
    ),
    "doctor_countdown_long_advice": (
        "give send_at to the producer instead of a countdown or an eta to Celery",
        "請以 Producer 的 send_at 取代 Celery 的 countdown 或 eta",
    ),
    # Connections.
    "doctor_pool_large_enough": (
        "{pool} to the ledger for each process, {threads} threads at most",
        "每個行程 {pool} 條帳本連線，最多 {threads} 個執行緒",
    ),
    "doctor_pool_small": (
        "worker {worker} has {threads} threads and {pool} connections to the ledger: threads wait for each other",
        "worker {worker} 有 {threads} 個執行緒，但只有 {pool} 條帳本連線，執行緒會互相等待",
    ),
    "doctor_pool_small_advice": (
        "raise EVERY8D_DATABASE_POOL_SIZE to {threads}, or lower the worker's --concurrency",
        "請將 EVERY8D_DATABASE_POOL_SIZE 提高至 {threads}，或降低該 worker 的 --concurrency",
    ),
    "doctor_server_roomy": (
        "{server}: {limit} allowed, {needed} may be needed",
        "{server}：上限 {limit}，最多需要 {needed}",
    ),
    "doctor_server_full": (
        "{server} allows {limit} connections, but {needed} may be needed",
        "{server} 只允許 {limit} 條連線，但可能需要 {needed} 條",
    ),
    "doctor_server_full_advice": (
        "raise the limit of {server}, or lower EVERY8D_DATABASE_POOL_SIZE or the workers' --concurrency",
        "請提高 {server} 的上限，或降低 EVERY8D_DATABASE_POOL_SIZE 或 worker 的 --concurrency",
    ),
    # Durability.
    "doctor_durable": ("{database} keeps what it has committed", "{database} 會保留已提交的資料"),
    "doctor_read_only": ("the database takes no writes: is it a standby?", "資料庫唯讀，可能是備援節點"),
    "doctor_read_only_advice": (
        "point EVERY8D_DATABASE_URL to the primary",
        "請將 EVERY8D_DATABASE_URL 指向主要節點",
    ),
    "doctor_postgres_forgets": (
        "{setting} = {value}: a crash may forget what was committed, and a text goes out twice",
        "{setting} = {value}：當機時可能遺失已提交的資料，導致重複發送",
    ),
    "doctor_postgres_forgets_advice": (
        "set {setting} = on in PostgreSQL; a pooler must pass options on",
        "請在 PostgreSQL 設定 {setting} = on；連線池須傳遞 options",
    ),
    "doctor_sqlite_forgets": (
        "journal_mode {journal}, synchronous {synchronous}: a crash may forget what was committed",
        "journal_mode {journal}、synchronous {synchronous}：當機時可能遺失已提交的資料",
    ),
    "doctor_sqlite_forgets_advice": (
        "keep the ledger's file on a local disk, without options in its address; or use PostgreSQL",
        "請將帳本檔案放在本機磁碟，位址不加選項；或改用 PostgreSQL",
    ),
    # Clocks.
    "doctor_clock_one": ("SQLite goes by this host's", "SQLite 使用本機時鐘"),
    "doctor_clocks_together": ("{seconds} s from the database's", "與資料庫相差 {seconds} 秒"),
    "doctor_clocks_apart": (
        "this host's clock is {seconds} s from the database's",
        "本機時鐘與資料庫相差 {seconds} 秒",
    ),
    "doctor_clocks_apart_advice": (
        "let NTP set both, on each host of workers",
        "請在每台 worker 主機與資料庫主機啟用 NTP",
    ),
    # Tables.
    "doctor_schema_current": ("those of this version", "符合此版本"),
    "doctor_schema_older": ("those of an older version", "屬於較舊的版本"),
    "doctor_schema_older_advice": (
        "stop the workers and run every8d migrate",
        "請停止 worker，再執行 every8d migrate",
    ),
    "doctor_schema_newer": ("those of a later version", "屬於較新的版本"),
    "doctor_schema_newer_advice": (
        "install the every8d-worker that migrated them",
        "請安裝與該帳本相符的 every8d-worker",
    ),
    # Beat.
    "doctor_beat_alive": ("one is at work", "一個 beat 運作中"),
    "doctor_beat_gone": ("none is at work", "沒有 beat 在運作"),
    "doctor_beat_gone_advice": (
        "run every8d beat; two are harmless, one of them works",
        "請執行 every8d beat；同時執行兩個也只有一個會運作",
    ),
    "doctor_beat_stuck": (
        "one holds the lock, but what was due {seconds} s ago is not sent",
        "beat 握有鎖，但 {seconds} 秒前應執行的排程未送出",
    ),
    "doctor_beat_stuck_advice": ("restart it and look at its log", "請重新啟動 beat 並查看其記錄"),
    # Lanes.
    "doctor_lanes_heard": ("each has a worker ({workers} answer)", "各通道皆有 worker（{workers} 個回應）"),
    "doctor_lane_unheard": (
        "no worker that answers takes from {queue}",
        "沒有回應的 worker 接收 {queue}",
    ),
    "doctor_lane_unheard_advice": (
        "run every8d worker --lane {lane}; a busy one may need --wait 10",
        "請執行 every8d worker --lane {lane}；若 worker 忙碌，可加 --wait 10",
    ),
    "doctor_lane_eaten": (
        "worker {worker} takes from {queues} and does not know our tasks: it throws texts away",
        "worker {worker} 接收 {queues} 但不認得本系統的工作，會丟棄簡訊",
    ),
    "doctor_lane_eaten_advice": (
        "stop it, or give that program a Redis database of its own",
        "請停止該 worker，或讓該程式使用另一個 Redis 資料庫",
    ),
    # Accounts.
    "doctor_breakers_closed": ("{count}, none blocked or paused", "{count} 個，皆未封鎖或暫停"),
    "doctor_breaker_open": (
        "{account}: the gateway refused its login ({code}); nothing of it is sent",
        "{account}：簡訊平台拒絕登入（{code}），不再發送",
    ),
    "doctor_breaker_open_advice": (
        "put the right password into the settings, or every8d accounts unblock {account} if it was right",
        "請在設定中更正密碼；若密碼無誤，執行 every8d accounts unblock {account}",
    ),
    "doctor_breaker_locked": (
        "{account} is locked ({code}); nothing of it is sent",
        "{account} 已封鎖（{code}），不再發送",
    ),
    "doctor_breaker_locked_advice": (
        "ask the vendor to unlock it, then every8d accounts unblock {account}",
        "請洽廠商解除封鎖，再執行 every8d accounts unblock {account}",
    ),
    "doctor_stands_paused": (
        "{account} / {lane} is paused by {by}",
        "{account} / {lane} 由 {by} 暫停中",
    ),
    "doctor_stands_paused_advice": (
        "every8d pause shows why; every8d resume lets it go on",
        "every8d pause 可查看原因，every8d resume 可恢復",
    ),
    # Flower.
    "doctor_flower_none": ("none answers", "沒有回應"),
    "doctor_flower_guarded": ("asks for a password", "需要密碼"),
    "doctor_flower_local": (
        "lets every user of this host in, to see and stop workers",
        "本機任何使用者皆可進入，查看並停止 worker",
    ),
    "doctor_flower_open": (
        "{address} lets everybody in, to see and stop workers",
        "{address} 任何人皆可進入，查看並停止 worker",
    ),
    "doctor_flower_local_advice": (
        "set FLOWER_BASIC_AUTH, or stop it",
        "請設定 FLOWER_BASIC_AUTH，或停止 Flower",
    ),
    "doctor_flower_open_advice": (
        "set FLOWER_BASIC_AUTH and --address=127.0.0.1, or stop it",
        "請設定 FLOWER_BASIC_AUTH 與 --address=127.0.0.1，或停止 Flower",
    ),
    # Callbacks.
    "doctor_callbacks_unused": ("no account uses them", "沒有帳號使用"),
    "doctor_web_listening": ("received at {address}", "於 {address} 接收"),
    "doctor_secret_none": (
        "{account} counts on callbacks and has no callback_secret: none can arrive",
        "{account} 使用回報但未設定 callback_secret，無法接收",
    ),
    "doctor_secret_none_advice": (
        "set its callback_secret and give the vendor the address, or set callbacks = false",
        "請設定 callback_secret 並將網址提供給廠商，或設定 callbacks = false",
    ),
    "doctor_web_silent": ("nobody answers at {address}", "{address} 沒有回應"),
    "doctor_web_silent_advice": (
        "run every8d web; where it runs elsewhere, say where with --web",
        "請執行 every8d web；若在其他主機執行，請以 --web 指定位址",
    ),
    "doctor_web_other": (
        "what answers at {address} is not every8d web, or its proxy is wrong",
        "{address} 的回應並非來自 every8d web，或反向代理設定有誤",
    ),
    "doctor_web_other_advice": (
        "pass /callbacks/every8d/ on to every8d web; say where it is with --web",
        "請將 /callbacks/every8d/ 轉送至 every8d web，並以 --web 指定位址",
    ),
    # Spool.
    "doctor_spool_empty": ("empty on this host", "本機沒有"),
    "doctor_spool_waits": (
        "{count} answers of the gateway in {directory} are not in the ledger",
        "{directory} 有 {count} 筆簡訊平台的回覆尚未寫入帳本",
    ),
    "doctor_spool_waits_advice": (
        "bring the ledger back and let a worker run here; never delete the files: they say what was sent",
        "請恢復帳本並在本機執行 worker；切勿刪除檔案，其中記錄了已送出的簡訊",
    ),
}

STATES: dict[str, tuple[str, str]] = {
    "ok": ("ok", "正常"),
    "problem": ("PROBLEM", "異常"),
    "unseen": ("NOT SEEN", "無法檢查"),
}
