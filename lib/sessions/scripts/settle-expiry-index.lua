--[[
  Moves or removes entries of the expiry index. An entry whose score has changed since it was read is left alone:
  another worker has settled it, or another session was opened under its id.

  KEYS[1]   index
  ARGV[1…]  triples: id, the score that was read, and its next score or '' to remove the entry

  Returns the number of entries.
]]
local key = KEYS[1]
local entries = ARGV

for i = 1, #entries, 3 do
  local id, read_score, next_score = entries[i], entries[i + 1], entries[i + 2]
  local score = redis.call('ZSCORE', key, id)
  if score and tonumber(score) == tonumber(read_score) then
    if next_score == '' then redis.call('ZREM', key, id)
    else redis.call('ZADD', key, next_score, id) end
  end
end
return redis.call('ZCARD', key)
