--[[
  Removes the cached values of a name, whatever their origin. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  name

  Returns how many values there were, or nil when the session is gone.
]]
local key = KEYS[1]
local meta, name = ARGV[1], ARGV[2]

local session = redis.pcall('HMGET', key, 'meta', 'bytes')
if session.err or session[1] ~= meta then return false end

local removed, bytes = 0, tonumber(session[2] or 0)
for _, field in ipairs(redis.call('HKEYS', key)) do
  local kind = string.sub(field, 1, 2)
  local own_name = kind == 'v:' and string.find(field, ':', 3, true)
  if field == 'p:' .. name or (own_name and string.sub(field, own_name + 1) == name) then
    bytes = bytes - #field - redis.call('HSTRLEN', key, field)
    redis.call('HDEL', key, field, 'o:' .. field)
    removed = removed + 1
  end
end
if removed > 0 then redis.call('HSET', key, 'bytes', string.format('%.0f', math.max(bytes, 0))) end
return removed
