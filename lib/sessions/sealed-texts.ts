import type { SharedTexts } from '../redis/shared-texts.ts'
import { type FieldSeal, tryToOpen } from './field-encryption.ts'

/**
 * Texts that workers share, sealed under their names. A text that is not as it would be written now is unknown: who can
 * write to Redis cannot make workers believe it.
 */
export function createSealedTexts (texts: SharedTexts, seal: FieldSeal): SharedTexts {
  return {
    async read (name) {
      const text = await texts.read(name)
      return text === null || !seal.isCurrent(text) ? null : tryToOpen(seal, name, text)
    },
    write: (name, text) => texts.write(name, seal.seal(name, text)),
    remove: texts.remove
  }
}
