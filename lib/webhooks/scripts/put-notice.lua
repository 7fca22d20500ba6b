--[[
  Puts a notice in its place in time: a new one, an earlier one in another form or at another time, or none any more.

  KEYS[1]  notices by the time when they are due
  ARGV[1]  the earlier form; '' for none
  ARGV[2]  the new form; '' for none
  ARGV[3]  when it is due, from now (ms)

  Returns 1, or 0 when the earlier form is gone: another worker was first, and nothing was changed.
]]
local key = KEYS[1]
local earlier, notice, due_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

if earlier ~= '' and redis.call('ZREM', key, earlier) == 0 then return 0 end
if notice ~= '' then
  local time = redis.call('TIME')
  redis.call('ZADD', key, time[1] * 1000 + math.floor(time[2] / 1000) + due_ms, notice)
end
return 1
