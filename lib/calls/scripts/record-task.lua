--[[
  Keeps the task that a call is run as, so that another worker can ask for it. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id
  ARGV[3]  its lease
  ARGV[4]  the task

  Returns 1, or 0 when the call is another's, over, or gone.
]]
local key = KEYS[1]
local meta, id, lease, task = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta', 'c:' .. id)
if session.err or session[1] ~= meta or not session[2] then return 0 end
local call = parse_head(session[2])
if call.written ~= 'working' or call.lease ~= lease then return 0 end
redis.call('HSET', key, 't:' .. id, task)
return 1
