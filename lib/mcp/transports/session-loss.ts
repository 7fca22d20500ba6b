const lost = new RegExp([
  /\bsession\b[^.]{0,40}\b(not found|unknown|expired|invalid|terminated|closed|ended|gone|lost|not exist|no longer)\b/,
  /\b(no|unknown|invalid|expired|missing|bad|such)( valid)?( mcp)? session\b/,
  /\bnot (yet )?(been )?initiali[sz]ed\b/
].map(({ source }) => source).join('|'), 'i')

/** Whether a server's words may mean that it does not know a session, or not any more. */
export const saysSessionIsLost = (words: string): boolean => lost.test(words)
