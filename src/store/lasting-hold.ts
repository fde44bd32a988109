/**
 * Why a mailbox sends nothing, in Lua: of the holds that concern it, as it says itself in JSON, the one that lasts longest,
 * as `lastingHold` in `gateway/view.ts` chooses; false where there is none. No worker may have described the mailbox yet
 * when an operator holds it. Were any of it damaged, it would be no reason to refuse mail.
 */
export const LASTING_HOLD = `
local function lastingHold(holds, holdKeys, mailbox)
  local isRead, keys = pcall(cjson.decode, holdKeys or 'none')
  if not isRead or type(keys) ~= 'table' or #keys == 0 then keys = { 'mailbox:' .. mailbox } end
  local areTold, told = pcall(redis.pcall, 'HMGET', holds, unpack(keys))
  local lasting, last = false, -1
  for _, hold in ipairs(areTold and told or {}) do
    if hold then
      local isWhole, known = pcall(cjson.decode, hold)
      local at = isWhole and type(known) == 'table' and (known.byOperator and math.huge or tonumber(known.nextProbeAt)) or 0
      if at > last then lasting, last = hold, at end
    end
  end
  return lasting
end
`;
