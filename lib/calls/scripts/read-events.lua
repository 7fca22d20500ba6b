--[[
  Reads a call of a session, and its events behind one of them. Lets the events live on with the call, and changes
  nothing else.

  KEYS[1]  session
  KEYS[2]  events of the call
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id of the call
  ARGV[3]  id of the event before the first one
  ARGV[4]  most events
  ARGV[5]  how long a call is kept after its end (ms)

  Returns {head, answer or '', idle time left of the session (ms), then for each event its id, its name and its data …},
  without the answer where there are more events, or nil when there is no such call.
]]
local key, events_key = KEYS[1], KEYS[2]
local meta, id, after, most, ttl_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

--- @include "includes/events"

local session = redis.pcall('HMGET', key, 'meta')
if session.err or session[1] ~= meta then return false end
local call = find_call(key, id)
if not call then return false end

local entries = redis.call('XRANGE', events_key, '(' .. after, '+', 'COUNT', most)
if #entries > 0 then expire_events(key, events_key, call, ttl_ms) end
local answer = #entries < most and redis.call('HGET', key, 'r:' .. id) or ''
local reply = {head_text(call), answer or '', redis.call('PTTL', key)}
for _, entry in ipairs(entries) do
  local event = parse_entry(entry)
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = event.id, event.e, event.d
end
return reply
