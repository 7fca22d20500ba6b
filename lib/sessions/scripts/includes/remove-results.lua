--[[
  Removes the results of a session, which are in a hash beside it. The session notes the key of that hash in its field
  `results` when it first has one; the two have one hash tag. So a session without results costs one read.

  The key is not among the script's: a user of Redis who may not touch it can still end sessions, and it then ends by
  its own TTL.
]]
local function remove_results (key)
  local results = redis.pcall('HGET', key, 'results')
  if type(results) == 'string' then redis.pcall('UNLINK', results) end
end
