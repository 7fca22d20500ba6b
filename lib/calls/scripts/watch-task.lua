--[[
  Says when somebody is to look after a call that has a task, unless this is said anew before.

  KEYS[1]  calls with tasks, by when they are to be looked after (ms of Redis's clock)
  ARGV[1]  the call
  ARGV[2]  from now (ms); '' for never
  ARGV[3]  `XX` for a call that is watched already; '' for any

  Returns 1.
]]
local key = KEYS[1]
local call, after_ms, only = ARGV[1], ARGV[2], ARGV[3]

--- @include "../../sessions/scripts/includes/call-slots"

if after_ms == '' then
  redis.call('ZREM', key, call)
elseif only == 'XX' then
  redis.call('ZADD', key, 'XX', slot_now() + tonumber(after_ms), call)
else
  redis.call('ZADD', key, slot_now() + tonumber(after_ms), call)
end
return 1
