--[[
  Call slots: a session has one for each call that may run at once. The taken ones are in its field `running`, as
  `<id> <lapses at> <id> <lapses at> …`, and the field is absent when no call runs.

  Times are milliseconds of Redis's own clock, which all workers share. A worker that dies releases nothing, so a slot
  that is not renewed lapses.
]]

local slot_clock

--- Now (ms). Reads the clock once in a script.
local function slot_now ()
  if not slot_clock then
    local time = redis.call('TIME')
    slot_clock = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return slot_clock
end

--- The taken slots that have not lapsed, each as `<id> <lapses at>`, without the slot `except`.
local function taken_slots (running, except)
  local slots = {}
  for id, lapses_at in string.gmatch(running or '', '(%S+) (%d+)') do
    if id ~= except and tonumber(lapses_at) > slot_now() then slots[#slots + 1] = id .. ' ' .. lapses_at end
  end
  return slots
end

--- Whether a slot is among the taken ones, lapsed or not.
local function has_slot (running, wanted)
  for id in string.gmatch(running or '', '(%S+) %d+') do
    if id == wanted then return true end
  end
  return false
end

--- A slot that lapses after so many milliseconds.
local function new_slot (id, hold_ms)
  return id .. ' ' .. string.format('%.0f', slot_now() + hold_ms)
end

local function write_slots (key, slots)
  if #slots > 0 then redis.call('HSET', key, 'running', table.concat(slots, ' '))
  else redis.call('HDEL', key, 'running') end
end
