--[[
  Holds a call slot for longer. Leaves the session's TTL alone.

  A slot that is no longer among the taken ones stays free: the renewal may arrive after the release.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id of the slot
  ARGV[3]  how long the slot is held from now (ms)

  Returns 1, or 0 when the session is gone or the slot was released.
]]
local key = KEYS[1]
local meta, slot_id, slot_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

--- @include "includes/call-slots"

local session = redis.pcall('HMGET', key, 'meta', 'running')
if session.err or session[1] ~= meta then return 0 end
local running = session[2]
if not has_slot(running, slot_id) then return 0 end

local slots = taken_slots(running, slot_id)
slots[#slots + 1] = new_slot(slot_id, slot_ms)
write_slots(key, slots)
return 1
