--[[
  Replaces or removes a field that still has the text that it had. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  field
  ARGV[3]  text that the field must have now; '' for none
  ARGV[4]  its next text; '' for none

  Returns the text that the field has then: the next one, or another that was written meanwhile. Nil when the field is
  absent or removed, or the session is gone.
]]
local key = KEYS[1]
local meta, field, before, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local session = redis.pcall('HMGET', key, 'meta', field)
if session.err or session[1] ~= meta then return false end
local current = session[2]

if (current or '') ~= before then return current end
if after == '' then
  redis.call('HDEL', key, field)
else
  redis.call('HSET', key, field, after)
end
local kind = string.sub(field, 1, 2)
local is_cached_value = kind == 'p:' or kind == 'v:'
if is_cached_value then redis.call('HINCRBY', key, 'bytes', #after - #before) end
if after == '' then return false end
return after
