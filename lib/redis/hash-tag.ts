/**
 * A hash tag that puts a key beside another one in a cluster, so that one script may touch both: `x:{<tag>}:y`.
 *
 * Most keys are their own tag. In a key with braces, the tag is what Redis itself takes for one. A key with a `}` and
 * no tag, like `a}b`, cannot be within braces: it gets a number whose slot is the same.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */
export function hashTagOf (key: string): string {
  const [, tag] = /^[^{]*\{([^}]+)\}/.exec(key) ?? []
  if (tag !== undefined) return tag
  return key.includes('}') ? numberIn(slotOf(key)) : key
}

const slots = 16_384

/** The slot of a text without a hash tag: CRC16 in the form of XMODEM. */
function slotOf (text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc % slots
}

const numbers = new Map<number, string>()

/** The first number in a slot. Finding it takes a few milliseconds, so it is remembered. */
function numberIn (slot: number): string {
  const known = numbers.get(slot)
  if (known !== undefined) return known
  let number = 0
  while (slotOf(String(number)) !== slot) number++
  numbers.set(slot, String(number))
  return String(number)
}
