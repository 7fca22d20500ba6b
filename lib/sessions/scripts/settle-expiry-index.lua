--[[
  Moves or removes entries of the expiry index. An entry whose score has changed since it was read is left alone:
  another worker has settled it, or another session was opened under its id.

  The index then lives for at least so long. Its life is never shortened: a worker with other settings may need it.

  KEYS[1]   index
  ARGV[1]   how long the index lives from now, at least (ms)
  ARGV[2…]  triples: id, the score that was read, and its next score or '' to remove the entry

  Returns the number of entries.
]]
--- @include "includes/arguments"
local key = KEYS[1]
local life_ms = tonumber(ARGV[1])
local entries = arguments(2, #ARGV)

for i = 1, #entries, 3 do
  local id, read_score, next_score = entries[i], entries[i + 1], entries[i + 2]
  local score = redis.call('ZSCORE', key, id)
  if score and tonumber(score) == tonumber(read_score) then
    if next_score == '' then redis.call('ZREM', key, id)
    else redis.call('ZADD', key, next_score, id) end
  end
end
if redis.call('PTTL', key) < life_ms then redis.call('PEXPIRE', key, life_ms) end
return redis.call('ZCARD', key)
