--[[
  Lets one worker go on with a call whose worker died, or let it go: its task is asked for, and its tool is never called
  again. The first worker that asks gets it, with a lease. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id
  ARGV[3]  lease
  ARGV[4]  lease (ms)

  Returns {'taken', its head, its data, its task}, {'held'} while another worker has it, or {'over'} when nobody will
  go on with it.
]]
local key = KEYS[1]
local meta, id, lease, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta', 'c:' .. id, 'd:' .. id, 't:' .. id)
if session.err or session[1] ~= meta or not session[2] then return {'over'} end
local call = parse_head(session[2])
if call.written ~= 'working' then return {'over'} end
if call.state == 'working' then return {'held'} end
if not goes_on(key, id, call) or not session[3] then return {'over'} end

call.state, call.lease, call.lapses = 'working', lease, milliseconds(slot_now() + lease_ms)
write_head(key, id, call)
return {'taken', head_text(call), session[3], session[4]}
