--- @include "../../../sessions/scripts/includes/calls"

--[[
  Events: what a server said while an accepted call ran, a stream beside the session. Each entry has
    e  its name: `progress` or `log`
    d  its data, sealed
    b  bytes of the data of all entries so far, with its own
]]

--- The fields of an entry of a stream by name, and its id.
local function parse_entry (entry)
  local event = {id = entry[1]}
  for position = 1, #entry[2], 2 do event[entry[2][position]] = entry[2][position + 1] end
  return event
end

--- Lets the events of a call live as long as the call may, were it over now, and no longer than its session.
local function expire_events (key, events_key, call, ttl_ms)
  local left = tonumber(call.expires) - slot_now()
  if call.state == 'queued' or call.state == 'working' then left = math.max(left, ttl_ms) end
  local session_left = redis.call('PTTL', key)
  if session_left >= 0 then left = math.min(left, session_left) end
  redis.call('PEXPIRE', events_key, milliseconds(left))
end
