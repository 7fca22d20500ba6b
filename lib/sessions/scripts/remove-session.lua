--[[
  Removes whatever is at a session's key, and returns what its end needs.

  KEYS[1]   session
  ARGV[1]   hash of the token that the session must have; '' for any
  ARGV[2…]  fields to read

  Returns {number of keys removed, value of each field or nil …}, without the values when it is no session.
]]
--- @include "includes/arguments"
local key = KEYS[1]
local token_hash = ARGV[1]
local fields = arguments(2, #ARGV)

if token_hash ~= '' and redis.pcall('HGET', key, 'token') ~= token_hash then return {0} end

--- @include "includes/remove-results"

local values = redis.pcall('HMGET', key, unpack(fields))
if values.err then values = {} end
remove_results(key)
table.insert(values, 1, redis.call('UNLINK', key))
return values
