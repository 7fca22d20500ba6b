--[[
  Describes a session without what is in it. Leaves its TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with

  Returns {idle time left (ms), bytes of all cached values or nil, number of calls or nil, record of the last call or
  nil, name and bytes of each cached value …}, or nil when the session is gone.
]]
local key = KEYS[1]
local meta = ARGV[1]

local session = redis.pcall('HMGET', key, 'meta', 'bytes', 'calls', 'last_call')
if session.err or session[1] ~= meta then return false end

local reply = session
reply[1] = redis.call('PTTL', key)
for _, field in ipairs(redis.call('HKEYS', key)) do
  if string.sub(field, 1, 2) == 'p:' then
    reply[#reply + 1] = string.sub(field, 3)
    reply[#reply + 1] = redis.call('HSTRLEN', key, field)
  end
end
return reply
