import type { CallSlot } from './call-slot.ts'
import type { FieldSeal } from './field-encryption.ts'
import type { CallClaim, EarlierCall } from './scripts.ts'
import type { SessionRecord } from './session-record.ts'
import type { ValueRead } from './values.ts'

/** A session as it was loaded. */
export interface Session extends SessionRecord {
  readonly id: string
  /** Its key in Redis. */
  readonly key: string
  readonly seal: FieldSeal
  /** The slot of the call that loaded the session; `null` when it loaded without `takeSlot`. */
  readonly slot: CallSlot | null
  /** The call that the request has begun by its idempotency key; `null` for none. */
  readonly call: { readonly id: string, readonly lease: string } | null
  /** The earlier call with the idempotency key of this request; `null` when there is none, or no key. */
  readonly earlier: EarlierCall | null
  /** Fields that were read with the session, as they are stored; `null` where one is absent. */
  readonly fields: ReadonlyMap<string, string | null>
}

export interface LoadOptions {
  /** Takes one of the session's call slots. */
  takeSlot?: boolean
  /** Begins a call, unless an earlier one has its idempotency key: then no slot is taken. */
  claim?: CallClaim | null
  /** Values to read with the session, so that `readValues` needs no round trip for them. */
  values?: readonly ValueRead[]
  /** MCP servers whose sessions to read with ours, so that `readUpstream` needs no round trip for them. */
  upstreams?: readonly string[]
}
