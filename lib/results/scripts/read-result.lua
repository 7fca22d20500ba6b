--[[
  Reads the head of a result, and lets the result live on. Leaves the session's TTL alone.

  KEYS[1]  session
  KEYS[2]  results of the session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  reference
  ARGV[3]  how long the result is kept from now (ms)

  Returns its head, or nil when the session has no such result.
]]
local session_key, key = KEYS[1], KEYS[2]
local meta, ref, ttl_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

--- @include "includes/results"

local session = redis.pcall('HMGET', session_key, 'meta')
if session.err or session[1] ~= meta then return false end
local results = read_results(key, meta)
local result = find_result(results, ref)
if not result then return false end
local head = redis.call('HGET', key, 'x:' .. ref)
if not head then return false end
restart_result_ttl(session_key, key, result, ttl_ms)
write_results(key, meta, results)
return head
