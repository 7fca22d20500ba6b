--[[
  Puts a new session in place of what was seen at its key. Others see either what was there, or the whole session.

  KEYS[1]   session
  ARGV[1]   what must be there now; see includes/seen.lua
  ARGV[2]   idle TTL (s)
  ARGV[3]   now (ms)
  ARGV[4]   end of the session's whole lifetime (ms); '' for none
  ARGV[5]   most bytes of cached values, names included
  ARGV[6]   most fields
  ARGV[7]   how many pairs follow
  ARGV[8…]  pairs of a field and its text, then cached values, each a field, its text and its origin; '' for none

  Returns {1, field of each value that did not fit …}, or {0} when something else is there: then nothing was changed.
]]
--- @include "includes/arguments"
local key = KEYS[1]
local seen_before, ttl_seconds, now_ms = ARGV[1], ARGV[2], ARGV[3]
local ends = ARGV[4] ~= '' and ARGV[4]
local most_bytes, most_fields = tonumber(ARGV[5]), tonumber(ARGV[6])
local first_value = 8 + 2 * tonumber(ARGV[7])
local fields, values = arguments(8, first_value - 1), arguments(first_value, #ARGV)

--- @include "includes/remove-results"
--- @include "includes/restart-idle-ttl"
--- @include "includes/seen"
--- @include "includes/write-fields"

if seen(key) ~= seen_before then return {0} end

-- The first write frees memory: a full Redis then lets the script finish.
remove_results(key)
redis.call('DEL', key)
local left_out = write_fields(key, fields, values, 0, most_bytes, most_fields)
restart_idle_ttl(key, ttl_seconds, ends, now_ms)

table.insert(left_out, 1, 1)
return left_out
