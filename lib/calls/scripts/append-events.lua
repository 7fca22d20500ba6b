--[[
  Adds what a server said while a call ran to the call's events, and makes room for it, oldest first. Also when the call
  has just ended: what was said was said before. Leaves the session's TTL alone.

  KEYS[1]   session
  KEYS[2]   events of the call
  ARGV[1]   `meta` that the session was loaded with
  ARGV[2]   id of the call
  ARGV[3]   its lease
  ARGV[4]   how long a call is kept after its end (ms)
  ARGV[5]   most events
  ARGV[6]   most bytes of their data
  ARGV[7…]  pairs of an event's name and its data

  Returns 1, or 0 when the call is another's or gone: then nothing was added.
]]
--- @include "../../sessions/scripts/includes/arguments"
local key, events_key = KEYS[1], KEYS[2]
local meta, id, lease, ttl_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local most_events, most_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local said = arguments(7, #ARGV)

--- @include "includes/events"

local session = redis.pcall('HMGET', key, 'meta', 'c:' .. id)
if session.err or session[1] ~= meta or not session[2] then return 0 end
local call = parse_head(session[2])
if call.lease ~= lease then return 0 end

local newest = redis.call('XREVRANGE', events_key, '+', '-', 'COUNT', 1)[1]
local bytes = newest and tonumber(parse_entry(newest).b) or 0
for position = 1, #said, 2 do
  local name, data = said[position], said[position + 1]
  bytes = bytes + #data
  redis.call('XADD', events_key, '*', 'e', name, 'd', data, 'b', milliseconds(bytes))
end
redis.call('XTRIM', events_key, 'MAXLEN', most_events)
while true do
  local oldest = redis.call('XRANGE', events_key, '-', '+', 'COUNT', 1)[1]
  if not oldest then break end
  local event = parse_entry(oldest)
  if bytes - tonumber(event.b) + #event.d <= most_bytes then break end
  redis.call('XDEL', events_key, event.id)
end
expire_events(key, events_key, call, ttl_ms)
return 1
