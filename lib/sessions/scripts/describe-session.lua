--[[
  Describes a session without what is in it. Leaves its TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with

  Returns {idle time left (ms), bytes of all cached values or nil, number of calls or nil, record of the last call or
  nil, then for each cached value its field, its bytes and its origin or '' …}, or nil when the session is gone.
]]
local key = KEYS[1]
local meta = ARGV[1]

local session = redis.pcall('HMGET', key, 'meta', 'bytes', 'calls', 'last_call')
if session.err or session[1] ~= meta then return false end

local reply = session
reply[1] = redis.call('PTTL', key)
for _, field in ipairs(redis.call('HKEYS', key)) do
  local kind = string.sub(field, 1, 2)
  if kind == 'p:' or kind == 'v:' then
    reply[#reply + 1] = field
    reply[#reply + 1] = redis.call('HSTRLEN', key, field)
    reply[#reply + 1] = redis.call('HGET', key, 'o:' .. field) or ''
  end
end
return reply
