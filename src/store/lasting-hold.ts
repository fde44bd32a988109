/**
 * A hold as it is stored, in Lua: `holdIn(json)`, nil where there is none that can be read, and whether an operator began
 * it, `isPersons(hold)`, which only `true` says (see `holdOf`).
 */
export const HOLD_IN = `
local function holdIn(json)
  local isRead, hold = pcall(cjson.decode, json or 'null')
  return isRead and type(hold) == 'table' and hold or nil
end
local function isPersons(hold) return hold ~= nil and hold.byOperator == true end
`;

/**
 * Which holds concern a mailbox, in Lua, as it says itself in JSON. No worker may have described it yet when an operator
 * holds it; were it damaged, that would be no reason to refuse mail.
 */
export const HOLDS_CONCERNING = `
local function holdsConcerning(mailbox, holdKeys)
  local isRead, keys = pcall(cjson.decode, holdKeys or 'none')
  if not isRead or type(keys) ~= 'table' or #keys == 0 then return { 'mailbox:' .. mailbox } end
  for i, key in ipairs(keys) do keys[i] = tostring(key) end
  return keys
end
`;

/**
 * Why a mailbox sends nothing, in Lua: of the holds that concern it the one that lasts longest, as `lastingHold` in
 * `gateway/view.ts` chooses; false where there is none. One that is damaged is to be tried out at once, and refuses nothing.
 */
export const LASTING_HOLD = `${HOLD_IN}${HOLDS_CONCERNING}
local function lastingHold(holds, mailbox, holdKeys)
  local lasting, last = false, -1
  for _, hold in ipairs(redis.pcall('HMGET', holds, unpack(holdsConcerning(mailbox, holdKeys)))) do
    if hold then
      local known = holdIn(hold)
      local at = known and (isPersons(known) and math.huge or tonumber(known.nextProbeAt)) or 0
      if at > last then lasting, last = hold, at end
    end
  end
  return lasting
end
`;
