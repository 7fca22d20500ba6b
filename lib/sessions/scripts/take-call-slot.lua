--[[
  Takes a call slot of a session that is loaded. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id of the slot
  ARGV[3]  how long the slot is held without being renewed (ms)
  ARGV[4]  how many slots the session has

  Returns 1, 0 when all are taken, or nil when the session is gone.
]]
local key = KEYS[1]
local meta, slot_id, slot_ms, most_slots = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

--- @include "includes/call-slots"

local session = redis.pcall('HMGET', key, 'meta', 'running')
if session.err or session[1] ~= meta then return false end

local slots = taken_slots(session[2])
if #slots >= most_slots then return 0 end
slots[#slots + 1] = new_slot(slot_id, slot_ms)
write_slots(key, slots)
return 1
