--[[
  Writes a key, as every use of a session does.

  KEYS[1]  key of the probe
  ARGV[1]  text

  Returns OK.
]]
local key = KEYS[1]
local text = ARGV[1]

return redis.call('SET', key, text, 'EX', 60)
