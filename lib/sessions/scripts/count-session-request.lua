--[[
  Counts a request for a session in the current window. The count is a field of the session itself, `rate`, as
  `<requests> <end of the window (ms)>`. So a request for a session that does not exist writes nothing, and nobody fills
  Redis with counters. Leaves the session's TTL alone. A request too many is not written either.

  KEYS[1]  session
  ARGV[1]  hash of the token that the session must have; '' for any
  ARGV[2]  window (ms)
  ARGV[3]  how many requests a window has

  Returns {requests in this window, what is left of it (ms)}, or nil without a session, or for another token.
]]
local key = KEYS[1]
local token_hash, window_ms, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local session = redis.pcall('HMGET', key, 'meta', 'token', 'rate')
if session.err or not session[1] then return false end
if token_hash ~= '' and session[2] ~= token_hash then return false end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local count, ends_ms = string.match(session[3] or '', '^(%d+) (%d+)$')
count, ends_ms = tonumber(count or 0), tonumber(ends_ms or 0)
-- Redis's clock may have been set back.
if ends_ms <= now_ms or ends_ms > now_ms + window_ms then count, ends_ms = 0, now_ms + window_ms end

count = count + 1
if count <= most then redis.call('HSET', key, 'rate', count .. ' ' .. string.format('%.0f', ends_ms)) end
return {count, ends_ms - now_ms}
