// The few behaviours of nhsuk-frontend that Lenitive's pages use, bundled into one small file.
export {
  Button,
  CharacterCount,
  ErrorSummary,
  PasswordInput,
  SkipLink,
  Tabs,
  createAll,
} from "nhsuk-frontend";
