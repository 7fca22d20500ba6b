--[[
  Reads a call of a session. Changes nothing.

  KEYS[1]  session
  KEYS[2]  events of the call
  ARGV[1]  `meta` that the session was loaded with; '' for any
  ARGV[2]  id

  Returns {head, answer or '', idle time left of the session (ms), the last progress or ''}, or nil when there is none.
]]
local key, events_key = KEYS[1], KEYS[2]
local meta, id = ARGV[1], ARGV[2]

--- @include "includes/events"

--- How many events are looked at for one of progress.
local most_looked_at = 50

local function last_progress ()
  for _, entry in ipairs(redis.call('XREVRANGE', events_key, '+', '-', 'COUNT', most_looked_at)) do
    local event = parse_entry(entry)
    if event.e == 'progress' then return event.d end
  end
  return ''
end

local session = redis.pcall('HMGET', key, 'meta', 'r:' .. id)
if session.err or not session[1] then return false end
if meta ~= '' and session[1] ~= meta then return false end
local call = find_call(key, id)
if not call then return false end
return {head_text(call), session[2] or '', redis.call('PTTL', key), call.state == 'working' and last_progress() or ''}
