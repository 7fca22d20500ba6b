--[[
  Keeps a call that waits for answers: in a field `q:<token>`, its token at the end of the field `questions`.
  A caller who never answers leaves a call behind, so the oldest ones make room. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  token
  ARGV[3]  the call
  ARGV[4]  most calls that wait
  ARGV[5]  most bytes of them

  Returns 1, 0 when the session is gone, or -1 when the call alone is larger than all may be.
]]
local key = KEYS[1]
local meta, token, call = ARGV[1], ARGV[2], ARGV[3]
local most_calls, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])

local session = redis.pcall('HMGET', key, 'meta', 'questions')
if session.err or session[1] ~= meta then return 0 end
if #call > most_bytes then return -1 end

local tokens, bytes = {}, #call
for waiting in string.gmatch(session[2] or '', '%S+') do
  tokens[#tokens + 1] = waiting
  bytes = bytes + redis.call('HSTRLEN', key, 'q:' .. waiting)
end
while #tokens > 0 and (#tokens >= most_calls or bytes > most_bytes) do
  local oldest = 'q:' .. table.remove(tokens, 1)
  bytes = bytes - redis.call('HSTRLEN', key, oldest)
  redis.call('HDEL', key, oldest)
end
tokens[#tokens + 1] = token
redis.call('HSET', key, 'q:' .. token, call, 'questions', table.concat(tokens, ' '))
return 1
