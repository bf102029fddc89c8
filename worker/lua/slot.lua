-- A place among the loops that may make calls of one (account, lane) at once.
-- KEYS: 1 the set of places (sorted by the time at which each is given up as dead).
-- ARGV: 1 the loop's own name, 2 how many places there are, 3 how long a place is kept, in ms.
-- Returns 1 when the loop has a place (taken now, or renewed), 0 when all are taken.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
