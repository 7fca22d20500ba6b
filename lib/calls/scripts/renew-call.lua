--[[
  Holds the lease of a call for longer, unless the call is another's or over. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id
  ARGV[3]  its lease
  ARGV[4]  lease from now (ms)

  Returns 1, 2 when its caller has cancelled it, or 0 when there is no lease to hold.
]]
local key = KEYS[1]
local meta, id, lease, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta', 'c:' .. id)
if session.err or session[1] ~= meta or not session[2] then return 0 end
local call = parse_head(session[2])
if call.written ~= 'working' or call.lease ~= lease then return 0 end

call.state, call.lapses = 'working', milliseconds(slot_now() + lease_ms)
write_head(key, id, call)
if call.cancel ~= '-' then return 2 end
return 1
