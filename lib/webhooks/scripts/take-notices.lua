--[[
  Takes notices that are due. They are due again after a while, for a worker that dies before it is done with them.

  KEYS[1]  notices by the time when they are due
  ARGV[1]  most of them
  ARGV[2]  when they are due again, from now (ms)

  Returns the notices.
]]
local key = KEYS[1]
local most, again_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, most)
for _, notice in ipairs(due) do redis.call('ZADD', key, now + again_ms, notice) end
return due
