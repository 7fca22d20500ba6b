--[[
  Lists the calls of a session, oldest first. Changes nothing.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with

  Returns {idle time left of the session (ms), then for each call its id and its head …}, or nil when the session is
  gone.
]]
local key = KEYS[1]
local meta = ARGV[1]

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta')
if session.err or session[1] ~= meta then return false end
local reply = {redis.call('PTTL', key)}
for _, entry in ipairs(read_index(key)) do
  local call = find_call(key, entry.id)
  if call then
    reply[#reply + 1] = entry.id
    reply[#reply + 1] = head_text(call)
  end
end
return reply
