--[[
  Gives calls with tasks that are to be looked after now. Nobody else gets them for a while.

  KEYS[1]  calls with tasks, by when they are to be looked after (ms of Redis's clock)
  ARGV[1]  most of them
  ARGV[2]  while (ms)

  Returns the calls.
]]
local key = KEYS[1]
local most, while_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

--- @include "../../sessions/scripts/includes/call-slots"

local now = slot_now()
local due = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, most)
for _, call in ipairs(due) do redis.call('ZADD', key, 'XX', now + while_ms, call) end
return due
