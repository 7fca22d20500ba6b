--- @include "calls"

local function parse_claim (claim)
  local key_hash, digest, id, lease, lease_ms, ttl_ms, most_calls =
    string.match(claim, '^(%S+) (%S+) (%S+) (%S+) (%d+) (%d+) (%d+)$')
  return {
    key_hash = key_hash, digest = digest, id = id, lease = lease,
    lease_ms = tonumber(lease_ms), ttl_ms = tonumber(ttl_ms), most_calls = tonumber(most_calls)
  }
end

--- The earlier call with the key of a claim; false when there is none.
local function call_begun_before (key, claim)
  local call, id = call_of_key(key, parse_claim(claim).key_hash)
  if not call then return false end
  return earlier_call(key, id, call)
end

--- Begins the call of a claim, and gives whether there was a place for it.
local function begin_call (key, text)
  local claim = parse_claim(text)
  local index, has_place = make_place(key, read_index(key), claim.most_calls)
  if has_place then
    local expires = slot_now() + claim.ttl_ms
    index[#index + 1] = {id = claim.id, expires = expires, bytes = 0}
    create_call(key, claim.id, {
      state = 'working', kind = 'tool', round = '0', expires = milliseconds(expires),
      lapses = milliseconds(slot_now() + claim.lease_ms), lease = claim.lease, digest = claim.digest,
      key = claim.key_hash
    })
  end
  write_index(key, index)
  return has_place
end
