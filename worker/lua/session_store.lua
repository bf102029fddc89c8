-- Stores a new session key, only while the login lock is still ours: a login that took longer than its lock must not
-- overwrite the key of whoever came next.
-- KEYS: 1 lock, 2 session key.  ARGV: 1 our lock token, 2 the session key, 3 its life in ms.
-- Returns 1 when stored.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
