--[[
  Keeps a result, or some pieces of one whose other pieces come later. Those that are older make room for it. Leaves the
  session's TTL alone. The result can be read once it has its head, which comes with the last piece.

  The session notes the key of its results, so that what ends the session removes them, too.

  KEYS[1]   session
  KEYS[2]   results of the session
  ARGV[1]   `meta` that the session was loaded with
  ARGV[2]   reference
  ARGV[3]   how long the result is kept (ms)
  ARGV[4]   most results
  ARGV[5]   most bytes of all results
  ARGV[6]   bytes of this one, all pieces together
  ARGV[7]   how many pieces it has
  ARGV[8]   its head; '' while more pieces are to come
  ARGV[9]   number of the first piece that follows, from 0
  ARGV[10…] pieces

  Returns {'kept', when it expires (ms)}, {'large'} when it is larger than all may be together, {'displaced'} when newer
  ones took its place while it was written, or nil when the session is gone.
]]
--- @include "../../sessions/scripts/includes/arguments"
local session_key, key = KEYS[1], KEYS[2]
local meta, ref, ttl_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local most_results, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local bytes, piece_count, head, first = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local pieces = arguments(10, #ARGV)

--- @include "includes/results"

local session = redis.pcall('HMGET', session_key, 'meta', 'results')
if session.err or session[1] ~= meta then return false end

local results, has_others = read_results(key, meta)
if has_others then redis.call('UNLINK', key) end
local result
if first == 0 then
  if bytes > most_bytes then return {'large'} end
  results = make_room(key, results, bytes, most_results, most_bytes)
  result = {ref = ref, bytes = bytes, pieces = piece_count}
  results[#results + 1] = result
  if session[2] ~= key then redis.call('HSET', session_key, 'results', key) end
else
  result = find_result(results, ref)
  if not result then return {'displaced'} end
end
for position, piece in ipairs(pieces) do
  redis.call('HSET', key, 'x:' .. ref .. ':' .. milliseconds(first + position - 1), piece)
end
if head ~= '' then redis.call('HSET', key, 'x:' .. ref, head) end
restart_result_ttl(session_key, key, result, ttl_ms)
write_results(key, meta, results)
return {'kept', milliseconds(result.expires)}
