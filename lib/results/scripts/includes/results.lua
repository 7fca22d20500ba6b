--- @include "../../../sessions/scripts/includes/call-slots"

--[[
  Results: what a session keeps of tools' results, in a hash beside the session's own. Each result has the fields
    x:<ref>           its head, sealed; absent until all its pieces are there
    x:<ref>:<number>  its pieces, sealed
  The field `ids` has `<ref> <expires, ms> <bytes> <number of pieces>` of each, oldest first. `meta` is that of the
  session that they are of: should it have been lost without them, they are nothing to the next one of its id.

  Times are milliseconds of Redis's own clock.
]]

local function milliseconds (number)
  return string.format('%.0f', number)
end

--- The results, oldest first, and whether others of an earlier session are in their place.
local function read_results (key, meta)
  local results = {}
  local fields = redis.call('HMGET', key, 'meta', 'ids')
  if fields[1] ~= meta then return results, fields[1] and true or false end
  for ref, expires, bytes, pieces in string.gmatch(fields[2] or '', '(%S+) (%d+) (%d+) (%d+)') do
    results[#results + 1] = {
      ref = ref, expires = tonumber(expires), bytes = tonumber(bytes), pieces = tonumber(pieces)
    }
  end
  return results, false
end

local function write_results (key, meta, results)
  local words = {}
  for position, result in ipairs(results) do
    words[position] = table.concat({
      result.ref, milliseconds(result.expires), milliseconds(result.bytes), milliseconds(result.pieces)
    }, ' ')
  end
  redis.call('HSET', key, 'meta', meta, 'ids', table.concat(words, ' '))
end

--- The result of a reference; nil when there is none, or it has expired.
local function find_result (results, ref)
  for _, result in ipairs(results) do
    if result.ref == ref and result.expires > slot_now() then return result end
  end
  return nil
end

local function remove_result (key, result)
  redis.call('HDEL', key, 'x:' .. result.ref)
  for number = 0, result.pieces - 1 do redis.call('HDEL', key, 'x:' .. result.ref .. ':' .. number) end
end

--- Removes results that have expired, and then the oldest ones, until there is room for one more of so many bytes.
local function make_room (key, results, bytes, most_results, most_bytes)
  local left, taken = {}, 0
  for _, result in ipairs(results) do
    if result.expires > slot_now() then
      left[#left + 1] = result
      taken = taken + result.bytes
    else
      remove_result(key, result)
    end
  end
  while #left > 0 and (#left >= most_results or taken + bytes > most_bytes) do
    local oldest = table.remove(left, 1)
    remove_result(key, oldest)
    taken = taken - oldest.bytes
  end
  return left
end

--[[
  Lets a result live for so long from now, and never for longer than its session would unused. The key lives as long as
  the result that lives longest.
]]
local function restart_result_ttl (session_key, key, result, ttl_ms)
  local lives_ms, session_ms = ttl_ms, redis.call('PTTL', session_key)
  if session_ms >= 0 then lives_ms = math.min(ttl_ms, session_ms) end
  result.expires = slot_now() + lives_ms
  if redis.call('PTTL', key) < lives_ms then redis.call('PEXPIRE', key, milliseconds(lives_ms)) end
end
