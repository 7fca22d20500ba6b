--[[
  Restarts the idle TTL (s), but never beyond the end of the session's whole lifetime (ms; false or nil for none).

  `now_ms` is the worker's clock. The end is days away and need not be exact, and Redis's own clock would cost a call.
]]
local function restart_idle_ttl (key, ttl_seconds, ends_ms, now_ms)
  if ends_ms and tonumber(ends_ms) < tonumber(now_ms) + ttl_seconds * 1000 then redis.call('PEXPIREAT', key, ends_ms)
  else redis.call('EXPIRE', key, ttl_seconds) end
end
