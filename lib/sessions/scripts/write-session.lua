--[[
  Writes what a request changed in its session: fields, cached values, the count of calls. Removes cached values, too.
  Releases the call's slot and restarts the idle TTL.

  A write never brings a session back that is gone, and never reaches another one that was opened under its id since.

  KEYS[1]   session
  ARGV[1]   `meta` that the session was loaded with
  ARGV[2]   idle TTL (s)
  ARGV[3]   now (ms)
  ARGV[4]   id of the call slot to release; '' for none
  ARGV[5]   how many calls to count
  ARGV[6]   most bytes of cached values, names included
  ARGV[7]   most fields
  ARGV[8]   how many pairs follow
  ARGV[9]   how many fields follow the pairs
  ARGV[10]  the call to end, as `<id> <lease> <state> <how long it is kept (ms)> <most bytes of all calls>`; '' for none
  ARGV[11]  its answer; '' for none
  ARGV[12…] pairs of a field and its text, then fields of cached values to remove, then cached values, each a field, its
            text and its origin; '' for none

  Returns {1, field of each value that did not fit …}, or {0} when the session is gone: then nothing was changed.
]]
--- @include "includes/arguments"
local key = KEYS[1]
local meta, ttl_seconds, now_ms, slot_id, calls = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local most_bytes, most_fields = tonumber(ARGV[6]), tonumber(ARGV[7])
local first_dropped = 12 + 2 * tonumber(ARGV[8])
local ended_call, answer = ARGV[10], ARGV[11]
local first_value = first_dropped + tonumber(ARGV[9])
local fields = arguments(12, first_dropped - 1)
local dropped, values = arguments(first_dropped, first_value - 1), arguments(first_value, #ARGV)

--- @include "includes/calls"
--- @include "includes/drop-values"
--- @include "includes/restart-idle-ttl"
--- @include "includes/write-fields"

local session = redis.pcall('HMGET', key, 'meta', 'running', 'bytes', 'ends')
if session.err or session[1] ~= meta then return {0} end
local running, bytes, ends = session[2], tonumber(session[3] or 0), session[4]

bytes = drop_values(key, dropped, bytes)
local left_out = write_fields(key, fields, values, bytes, most_bytes, most_fields)
if calls > 0 then redis.call('HINCRBY', key, 'calls', calls) end
if slot_id ~= '' then write_slots(key, taken_slots(running, slot_id)) end
if ended_call ~= '' then
  local id, lease, state, ttl_ms, most_call_bytes = string.match(ended_call, '^(%S+) (%S+) (%S+) (%d+) (%d+)$')
  settle_call(key, id, lease, state, ttl_ms, '', answer, tonumber(most_call_bytes))
end
restart_idle_ttl(key, ttl_seconds, ends, now_ms)

table.insert(left_out, 1, 1)
return left_out
