/** The origin of values that callers give: the fields of /init, and PUT /session/values. No server has this name. */
export const callerOrigin = 'caller'
