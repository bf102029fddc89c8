-- Deletes a key only if it still holds what we think: a session key that failed, or a lock of ours.
-- KEYS: 1 the key.  ARGV: 1 the expected value.  Returns 1 when deleted.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
