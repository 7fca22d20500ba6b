--[[
  Releases a call slot. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id of the slot

  Returns 1, or 0 when the session is gone.
]]
local key = KEYS[1]
local meta, slot_id = ARGV[1], ARGV[2]

--- @include "includes/call-slots"

local session = redis.pcall('HMGET', key, 'meta', 'running')
if session.err or session[1] ~= meta then return 0 end
local running = session[2]

write_slots(key, taken_slots(running, slot_id))
return 1
