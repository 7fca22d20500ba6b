--[[
  Counts a request in the current window. No counter is ever without an end.

  KEYS[1]  counter
  ARGV[1]  window (ms)

  Returns {requests in this window, what is left of it (ms)}.
]]
local key = KEYS[1]
local window_ms = tonumber(ARGV[1])

local current = redis.call('INCR', key)
local left_ms = redis.call('PTTL', key)
if left_ms < 0 then
  left_ms = window_ms
  redis.call('PEXPIRE', key, left_ms)
end
return {current, left_ms}
