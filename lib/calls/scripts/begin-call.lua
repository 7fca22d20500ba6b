--[[
  Lets one worker work at a call: a queued one begins, one that waits for responses goes on. The first worker that asks
  gets it, with a lease. A reading or a prompt that goes on is removed: its answer is nobody's but the caller's.
  Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with; '' for any
  ARGV[2]  id
  ARGV[3]  state that it must have: `queued` or `input_required`
  ARGV[4]  kind that it must have
  ARGV[5]  round of responses that it must be in; '' for any
  ARGV[6]  lease
  ARGV[7]  lease (ms)

  Returns {1, head, its data}, {0, head} for a call in another state, kind or round, or nil when there is none.
]]
local key = KEYS[1]
local meta, id, state, kind, round = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local lease, lease_ms = ARGV[6], tonumber(ARGV[7])

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta', 'd:' .. id)
if session.err or not session[1] then return false end
if meta ~= '' and session[1] ~= meta then return false end
local data = session[2]
local call = find_call(key, id)
if not call then return false end
if call.state ~= state or call.kind ~= kind or (round ~= '' and call.round ~= round) or not data then
  return {0, head_text(call)}
end

if kind ~= 'tool' then
  remove_fields(key, id)
  write_index(key, without_entry(read_index(key), id))
  return {1, head_text(call), data}
end
call.state, call.lease = 'working', lease
call.lapses = milliseconds(slot_now() + lease_ms)
write_head(key, id, call)
return {1, head_text(call), data}
