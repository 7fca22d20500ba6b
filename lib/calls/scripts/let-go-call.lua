--[[
  Lets a call go that has a task: another worker may take it up at once. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id
  ARGV[3]  its lease

  Returns 1, or 0 when the call is another's, over, or gone.
]]
local key = KEYS[1]
local meta, id, lease = ARGV[1], ARGV[2], ARGV[3]

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta', 'c:' .. id)
if session.err or session[1] ~= meta or not session[2] then return 0 end
local call = parse_head(session[2])
if call.written ~= 'working' or call.lease ~= lease then return 0 end
call.state, call.lease, call.lapses = 'working', '-', '0'
write_head(key, id, call)
return 1
