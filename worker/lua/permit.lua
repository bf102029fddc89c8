-- A permit for one gateway call of an account: a token bucket that serves otp first.
-- The bucket holds a second's worth of calls. otp may take the last token; normal leaves a tenth, bulk a fifth. Bulk has
-- a second bucket of its own with 80 % of the rate, so that a campaign leaves room however long it runs.
-- KEYS: 1 the account's bucket (hash: at, all, bulk).  ARGV: 1 calls per second, 2 lane.
-- Returns 0 when taken, else the milliseconds until it is worth asking again.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local rate = tonumber(ARGV[1])
local room = math.max(rate, 1)
local bulk_room = math.max(rate * 0.8, 1)
local kept = redis.call('HMGET', KEYS[1], 'at', 'all', 'bulk')
local passed = math.max(0, now - (tonumber(kept[1]) or now)) / 1000
local all = math.min(room, (tonumber(kept[2]) or room) + passed * rate)
local bulk = math.min(bulk_room, (tonumber(kept[3]) or bulk_room) + passed * rate * 0.8)
local leave = 0
if ARGV[2] == 'bulk' then leave = 0.2 * room elseif ARGV[2] ~= 'otp' then leave = 0.1 * room end
-- With a bucket of one token, leaving some of it would leave the lane with nothing for ever.
leave = math.min(leave, room - 1)
local wait = 0
if all - leave < 1 then wait = (1 - all + leave) / rate end
if ARGV[2] == 'bulk' and bulk < 1 then wait = math.max(wait, (1 - bulk) / (rate * 0.8)) end
if wait == 0 then
  all = all - 1
  if ARGV[2] == 'bulk' then bulk = bulk - 1 end
end
redis.call('HSET', KEYS[1], 'at', now, 'all', all, 'bulk', bulk)
redis.call('PEXPIRE', KEYS[1], 60000)
return math.ceil(wait * 1000)
